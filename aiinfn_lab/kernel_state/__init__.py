"""The variables of a running kernel: what of them a job can take over, and the file that carries them.

`kernel_side` runs in the kernel, `asking` has it run there; `used_names` reads what the cells that remain use; `inventory`
puts both into an answer. Only a kernel of the person ever reads a state file back: reading a pickle is running it.
"""
