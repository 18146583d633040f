"""What the default model is judged by: a module for each kind of test, and what they share."""
