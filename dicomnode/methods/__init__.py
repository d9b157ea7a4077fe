"""The configured methods: their bundles, running them, their findings as JSON.

bundles        The configured bundles, checked, and the engines that are loaded from them
findings_json  The findings of every method in JSON's types, for the queue and for programs
run            Every method on one volume, each by itself
"""
