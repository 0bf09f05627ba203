"""What was published once, kept as it was: nothing in here is ever edited, only added to."""
