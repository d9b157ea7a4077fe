"""From labelled scans to a bundle: manifests, training, evaluation, simulation; no network."""
