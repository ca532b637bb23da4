"""What waiting costs, measured; each module here is a program that prints what it found."""
