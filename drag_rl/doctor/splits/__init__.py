"""Whether the questions of some files are whole, fit their pages, and leave what is measured out of what is trained on.

``examine`` has the order of the checks; each other module is one idea.
"""
