"""The files that stages write, one format a module: written, read and checked; and answers in words."""
