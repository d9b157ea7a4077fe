"""Simulated lesions, painted into real lungs: a tool for training, no claim about disease."""
