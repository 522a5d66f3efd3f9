"""What several sources share: a module that holds no task of its own."""
