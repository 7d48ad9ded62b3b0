import sys; sys.path.insert(0, __file__.rsplit("/",1)[0])
from test_materialise import *
def test_prof(settings, instance):
    import faulthandler; faulthandler.dump_traceback_later(60, file=open("/tmp/hx/stack","w"))
    traces = {n: pl.read_csv(ROOT/"data"/f"{n}.csv", infer_schema=False).head(300) for n in northwind.TRACES}
    deliver(settings.landing, northwind.landing_files(traces)+harbor.landing_files(10))
    def tell(s): open("/tmp/hx/steps","a").write(str(s)+"\n")
    catch_up(instance, tell, "release")
