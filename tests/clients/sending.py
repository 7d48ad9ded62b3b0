"""A program that sends usage events until it is killed: ``python sending.py ADDRESS KEY SPOOL SOURCE COUNT``.

It prints the id of each event once the sender has taken it, in lines of 200 characters: a pipe holds few of them, and
so it is never many events ahead of its reader. With a COUNT of 0 it sends what is in the spool, and ends.
"""

import sys

from valueverse_client import Batching, Retries, Sender

address, key, spool, source, count = sys.argv[1:]
retries = Retries(first_wait=0.05, longest_wait=0.2)
sender = Sender(key, address, spool=spool, source=source, batching=Batching(events=20, linger=0.01), retries=retries)
for number in range(int(count)):
    taken = sender.add({"type": "call", "subject": "c-1", "id": f"{source}-{number}", "data": {"n": number}})
    sys.stdout.write(f"{taken:<200}\n")
    sys.stdout.flush()
sender.flush(120)
sys.stdout.write("sent\n")
