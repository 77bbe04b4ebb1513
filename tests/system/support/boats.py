# SPDX-License-Identifier: Apache-2.0
"""A small schema, of a service that does not come with weft."""

BOATS = """[service]
name = boats
version = 1
title = Boats
[field length]
type = number
required = yes
min = 1
max = 100
[filter min_length]
field = length
match = at-least
"""
