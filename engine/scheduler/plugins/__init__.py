"""The scheduler's rules, one file each, under the names and weights of kube-scheduler's default profile.

A static filter says for one node and one class why it is refused ("" when it is not): it reads only what placements do
not change. A score plugin gives whole vectors, 0 to 100 per node, with the integer arithmetic of kube-scheduler 1.36.
"""
