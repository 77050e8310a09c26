"""What every other room uses and nothing else in the project is needed for: errors, files, the terminal."""
