"""The choice of settings for one cell on one task: which ones are tried, how they compete, and what is written."""
