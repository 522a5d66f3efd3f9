"""Training-time markers: are they inferred, followed, and what do they change."""
