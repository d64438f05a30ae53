"""Who is it: ranks and rates among enrolled people."""
