#include "bmp-recv/config.h"

#include <doctest/doctest.h>

using namespace bmpha;
using namespace bmpha::recv;

TEST_CASE("clusters that differ in name or number are different collectors, unless they are told otherwise") {
  Config c;
  CHECK(c.collector() == "default");
  c.cluster_name = "lab";
  CHECK(c.collector() == "lab");
  c.cluster_id = 1;
  CHECK(c.collector() == "lab-1");
  c.cluster_id = 10;
  CHECK(c.collector() == "lab-10");
  c.collector_id = "other";
  CHECK(c.collector() == "other");
}
