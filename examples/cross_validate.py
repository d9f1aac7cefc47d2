"""Cross-validate a support vector machine on scikit-learn's handwritten digits; a script to submit as batch."""

import sys

from sklearn.datasets import load_digits
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

folds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
images, labels = load_digits(return_X_y=True)
for strength in (0.1, 1.0, 10.0):
    scores = cross_val_score(make_pipeline(StandardScaler(), SVC(C=strength)), images, labels, cv=folds)
    print(
        f"C = {strength:5.1f}: accuracy {scores.mean():.4f} ± {scores.std():.4f} over {folds} folds",
        flush=True,
    )
