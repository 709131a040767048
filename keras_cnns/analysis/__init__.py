"""What can be counted and measured on a network: numbers first."""
