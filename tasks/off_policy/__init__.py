"""What another router would have come to on questions that were routed already."""
