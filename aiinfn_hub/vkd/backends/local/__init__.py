"""The embedded back end: jobs are processes of this host, devices are granted through CUDA_VISIBLE_DEVICES. Linux only."""
