"""A student: trained on a run's rows, examined on documents that they never saw. Needs the extra `student`; the core does not.

rows      a run's rows as plain chat, and what is held back from training
gold      rows by code alone: task, answer and checks, without a model
exam      held-out items, and the search for leaks
train     supervised fine-tuning through TRL
answer    greedy replies of a folder, a GGUF file or an endpoint
evaluate  deciding checks over the replies, with intervals
proof     the experiment: does it teach?
"""
