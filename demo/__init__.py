"""A private, real Airflow on this machine, and the demonstration that runs on it."""
