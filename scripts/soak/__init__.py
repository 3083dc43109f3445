"""The soak: random faults under load, for as long as one likes, and at the end everything laid side by side."""
