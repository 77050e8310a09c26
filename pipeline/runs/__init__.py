"""What a command does between the settings and the libraries."""
