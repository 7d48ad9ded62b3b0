import time
import dagster as dg
from assets.partitions import range_tags
def test_it(settings, monkeypatch, tmp_path):
    for n,v in settings.environment().items(): monkeypatch.setenv(n,v)
    from pipelines.definitions import defs
    from pipelines.catch_up import QUIET
    from pipelines.jobs import marts_config
    from valueverse.platform.warehouse import connect
    with connect(settings,"builder") as c:
        c.execute("insert into billing.tenant(tenant_id,name,timezone,currency) values('acme','A','UTC','USD')")
    with dg.DagsterInstance.local_temp(str(tmp_path)) as i:
        t=time.time()
        r=defs.resolve_job_def("release_job").execute_in_process(run_config=QUIET,instance=i,tags=range_tags("2024-01-01","2024-05-01"),raise_on_error=False)
        print("release",r.success,time.time()-t,[e.step_failure_data.error.cause or e.step_failure_data.error for e in r.all_events if e.is_step_failure])
        t=time.time()
        r=defs.resolve_job_def("marts_job").execute_in_process(run_config={**QUIET,**marts_config("2024-01-01","2024-05-01")},instance=i,raise_on_error=False)
        print("marts",r.success,time.time()-t,[e.step_failure_data.error.message for e in r.all_events if e.is_step_failure])
        print(len(r.all_events))
