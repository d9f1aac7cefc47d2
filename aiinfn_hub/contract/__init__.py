"""What the processes of the suite say to each other. The bottom of everything: it imports nothing of the rest."""
