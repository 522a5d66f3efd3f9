"""From messages with the roles description, input and output to text, and to what of it is trained."""
