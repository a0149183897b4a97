"""The controllers: what kube-controller-manager runs, on batched reconciles over informers' caches."""
