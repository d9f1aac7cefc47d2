"""What becomes of a Job that the API server does not take."""

import pytest

from aiinfn_hub.kube.client import KubeError
from aiinfn_hub.vkd.backends.kubernetes.job_api import hopeless, obstacle, refused


@pytest.mark.parametrize(
    ("error", "for_good", "words"),
    [
        (KubeError(0, "NoAnswer", "refused"), False, "does not answer"),
        (KubeError(401, "Unauthorized", "token expired"), False, "credentials"),
        (KubeError(429, "TooManyRequests", "later"), False, "does not answer"),
        (KubeError(500, "InternalError", "failed calling webhook kueue"), False, "does not answer"),
        (KubeError(403, "Forbidden", "exceeded quota: q, used: count/jobs.batch=9"), False, "quota"),
        (KubeError(403, "Forbidden", "cannot create resource jobs"), False, "`aiinfn-hub kueue apply`"),
        (KubeError(404, "NotFound", "namespaces aiinfn-batch not found"), False, "`aiinfn-hub kueue apply`"),
        (KubeError(400, "BadRequest", "strict decoding"), True, "vkd's log"),
        (KubeError(422, "Invalid", "spec.template.spec.volumes: Invalid"), True, "vkd's log"),
    ],
)
def test_what_is_refused_for_good_is_told_from_what_may_still_come(
    error: KubeError, for_good: bool, words: str
) -> None:
    assert hopeless(error) is for_good
    assert words in str(obstacle(error))
    assert error.message not in str(obstacle(error))
    if for_good:
        assert words in str(refused(error))
