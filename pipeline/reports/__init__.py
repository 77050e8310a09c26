"""What is published: tables, pages and their parts."""
