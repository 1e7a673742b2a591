// mock_broker: librdkafka's mock cluster as a process of its own, for other processes on loopback. It stands in where
// no Apache Kafka can be had. What it cannot do: it keeps at most 5 MiB or 100,000 message sets per partition and
// drops older data silently, keeps nothing when it ends, and has no topic administration. So it is no judge of loss.
//
//   mock_broker [--address-file FILE] TOPIC:PARTITIONS...
//
// Prints (and writes to FILE, atomically) the bootstrap address, and serves until TERM or INT.
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <signal.h>
#include <unistd.h>

#include <charconv>
#include <cstdio>
#include <fstream>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace {

constexpr int kDone = 0;
constexpr int kUsage = 100;
constexpr int kEnvironment = 111;

struct Topic {
  std::string name;
  int partitions = 0;
};

// "NAME:PARTITIONS"
bool parse_topic(std::string_view text, Topic& out) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return false;
  const std::string_view count = text.substr(colon + 1);
  const auto [at, error] = std::from_chars(count.data(), count.data() + count.size(), out.partitions);
  if (error != std::errc() || at != count.data() + count.size() || out.partitions < 1) return false;
  out.name = text.substr(0, colon);
  return true;
}

// A reader of the file sees the whole address or no file.
bool write_address(const std::string& path, const std::string& address) {
  const std::string temporary = path + ".new";
  {
    std::ofstream file(temporary);
    file << address << '\n';
    if (!file.flush()) return false;
  }
  return std::rename(temporary.c_str(), path.c_str()) == 0;
}

struct ClientDeleter {
  void operator()(rd_kafka_t* p) const { rd_kafka_destroy(p); }
};
struct ClusterDeleter {
  void operator()(rd_kafka_mock_cluster_t* p) const { rd_kafka_mock_cluster_destroy(p); }
};

int serve(const std::vector<Topic>& topics, const std::string& address_file, const sigset_t& ending) {
  char error[512] = "";
  const std::unique_ptr<rd_kafka_t, ClientDeleter> client(
      rd_kafka_new(RD_KAFKA_PRODUCER, rd_kafka_conf_new(), error, sizeof error));
  if (!client) {
    std::fprintf(stderr, "mock_broker: cannot create a client: %s\n", error);
    return kEnvironment;
  }
  const std::unique_ptr<rd_kafka_mock_cluster_t, ClusterDeleter> cluster(rd_kafka_mock_cluster_new(client.get(), 1));
  if (!cluster) {
    std::fprintf(stderr, "mock_broker: cannot start the mock cluster\n");
    return kEnvironment;
  }
  for (const Topic& t : topics) {
    const rd_kafka_resp_err_t e = rd_kafka_mock_topic_create(cluster.get(), t.name.c_str(), t.partitions, 1);
    if (e != RD_KAFKA_RESP_ERR_NO_ERROR) {
      std::fprintf(stderr, "mock_broker: cannot create topic %s: %s\n", t.name.c_str(), rd_kafka_err2str(e));
      return kEnvironment;
    }
  }
  const std::string address = rd_kafka_mock_cluster_bootstraps(cluster.get());
  std::printf("%s\n", address.c_str());
  std::fflush(stdout);
  if (!address_file.empty() && !write_address(address_file, address)) {
    std::fprintf(stderr, "mock_broker: cannot write %s\n", address_file.c_str());
    return kEnvironment;
  }
  int signal_number = 0;
  sigwait(&ending, &signal_number);
  return kDone;
}

}  // namespace

int main(int argc, char** argv) {
  // Blocked before the library starts its threads, so that only sigwait sees them.
  sigset_t ending;
  sigemptyset(&ending);
  sigaddset(&ending, SIGTERM);
  sigaddset(&ending, SIGINT);
  pthread_sigmask(SIG_BLOCK, &ending, nullptr);

  std::vector<Topic> topics;
  std::string address_file;
  for (int n = 1; n < argc; ++n) {
    const std::string_view word = argv[n];
    Topic topic;
    if (word == "--address-file" && n + 1 < argc) {
      address_file = argv[++n];
    } else if (!word.starts_with("--") && parse_topic(word, topic)) {
      topics.push_back(topic);
    } else {
      std::fprintf(stderr, "usage: mock_broker [--address-file FILE] TOPIC:PARTITIONS...\n");
      return kUsage;
    }
  }
  return serve(topics, address_file, ending);
}
