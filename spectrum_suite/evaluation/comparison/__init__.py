"""Many models set side by side: evaluated by one recipe, pooled over tasks and seeds, and held against claims."""
