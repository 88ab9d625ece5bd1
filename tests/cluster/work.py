"""Jobs that workers of the tests can import."""

import os
import signal
import time

import numpy as np
from threadpoolctl import threadpool_info

from utils import compute
from utils.errors import DataError


def scaled(table, factor):
    return float(table.sum() * factor)


def slow(number):
    time.sleep(0.3)
    return number


def refused(number):
    time.sleep(0.2 * number)
    if number:
        raise DataError(f"{number} is refused")


def of_a_job(number):
    return os.getpid(), compute.each(slow, [(number,), (number + 1,)])


def native_threads(number):
    np.ones((9, 9)) @ np.ones((9, 9))
    return {pool["num_threads"] for pool in threadpool_info()}


def deadly(number):
    if number == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return number
