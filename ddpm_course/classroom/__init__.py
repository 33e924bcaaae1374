"""For teachers: is this machine ready, and a lesson without its code for a lecture."""
