"""What if: the recorded inputs under another configuration, or with a member down."""
