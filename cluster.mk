# A real Kubernetes cluster with Kueue on this machine: tests/cluster/README.md. Part of the Makefile; also stands alone:
# make -f cluster.mk test-cluster
CLUSTER := .venv/bin/python -m tests.cluster.harness

ifndef UV
.PHONY: setup
setup:
	@test -x .venv/bin/python || $(MAKE) -f Makefile setup

.PHONY: browser
browser:
	@deploy/need-chromium
endif

.PHONY: cluster-build
cluster-build: setup  ## Build etcd, Kubernetes and Kueue from source (minutes the first time; needs Go >= 1.26)
	@$(CLUSTER) build

.PHONY: cluster-up
cluster-up: cluster-build  ## As root, bring up a Kubernetes cluster with Kueue on this machine
	@$(CLUSTER) up

.PHONY: cluster-down
cluster-down: setup  ## Take the cluster down, with everything it made
	@$(CLUSTER) down

.PHONY: test-cluster
test-cluster: cluster-build browser  ## As root, run the tests that need a real cluster, on one of their own
	AIINFN_TEST_CLUSTER=1 .venv/bin/pytest tests/cluster $(PYTEST_OPTIONS)

.PHONY: drill-crowd
drill-crowd: cluster-build  ## As root, run many jobs and a long sweep on a real cluster, where the tests run some (JOBS=40, POINTS=14)
	AIINFN_TEST_CLUSTER=1 AIINFN_DRILL_JOBS=$(or $(JOBS),60) AIINFN_DRILL_POINTS=$(or $(POINTS),14) \
		.venv/bin/pytest tests/cluster/test_vkd_crowd.py tests/cluster/test_vkd_sweep.py $(PYTEST_OPTIONS)
