"""Chat clients: one async verb, `complete`, over HTTP, recorded, simulated or scripted."""
