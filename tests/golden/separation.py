"""Fixtures by scikit-learn, separation.txt: scores that tell known from unknown samples, and what
a division into clusters says of classes. Run with the packages of requirements.txt.
"""
import numpy
from sklearn.metrics import normalized_mutual_info_score, roc_auc_score, roc_curve

from golden import Golden, values

# name: number of known and unknown samples, and to how many steps scores are rounded, for ties.
CASES = {
    "smooth": (300, 500, None),
    "ties": (300, 500, 8),
    "coarse": (101, 67, 2),
    "few": (3, 2, 4),
    "one": (1, 1, None),
}


def scores(name, size, shift, steps):
    found = values(name, [size]).astype(numpy.float64) + shift
    return found if steps is None else numpy.round(found * steps) / steps


def main():
    golden = Golden("separation.txt", "separation.py", digits=17)
    for name, (known, unknown, steps) in CASES.items():
        a = scores(f"{name}/known", known, 0.4, steps)
        b = scores(f"{name}/unknown", unknown, 0.0, steps)
        labels = numpy.r_[numpy.ones(known), numpy.zeros(unknown)]
        both = numpy.r_[a, b]
        golden.add(f"{name}/auroc", roc_auc_score(labels, both))
        false_accepts, accepts, _ = roc_curve(labels, both, drop_intermediate=False)
        for share in (0.5, 0.95, 1.0):
            first = numpy.argmax(accepts >= share - 1e-12)
            golden.add(f"{name}/fpr_{share}", false_accepts[first])
    for name, groups, clusters in (("a", 5, 8), ("b", 3, 3), ("c", 4, 1)):
        size = 200
        labels = numpy.floor((values(f"nmi/{name}/labels", [size]) + 1) / 2 * groups)
        noise = numpy.floor((values(f"nmi/{name}/clusters", [size]) + 1) / 2 * clusters)
        found = numpy.where(values(f"nmi/{name}/mix", [size]) > 0, labels % clusters, noise)
        golden.add(f"nmi/{name}", normalized_mutual_info_score(labels, found))
    golden.save()


if __name__ == "__main__":
    main()
