"""Where heavy work is done: here, in processes of this machine or on a Dask cluster; the results are the same."""
