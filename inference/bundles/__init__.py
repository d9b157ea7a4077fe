"""Bundles: weights with the card that says what they are, and the tasks they are made for.

bundle         A bundle: a folder with `card.toml` and the weights
bundle_writer  Puts a bundle on disk: card and weights whole, or nothing
card           The card of a bundle, `card.toml`: what the weights are, what they were made for
class_codes    Codes of classes for cards that name none
packaging      A bundle out of a training's run: the best weights and their card
proof          What computing in another precision changes, as it was measured
tasks          The tasks that a bundle can be made for: what each is made of, by name
"""
