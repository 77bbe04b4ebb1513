// SPDX-License-Identifier: Apache-2.0
//
// gRPC's unary calls over TLS with its asynchronous interface, which is its
// fastest: one thread, one completion queue and one connection on each side.
//
//   rpc_grpc serve ADDRESS:PORT CERT KEY
//   rpc_grpc call REMOTE:PORT CERT LENGTH IN_FLIGHT SECONDS
//
// The certificate, made for the name "bench", is what the caller trusts.
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include <time.h>

#include <grpcpp/grpcpp.h>

#include "rpc.grpc.pb.h"
#include "support/latencies.h"

namespace {

uint64_t now_ns()
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return uint64_t(now.tv_sec) * 1000000000 + uint64_t(now.tv_nsec);
}

std::string file_text(const char *path)
{
	std::ifstream file(path);
	std::ostringstream text;

	text << file.rdbuf();
	if (!file)
		exit((fprintf(stderr, "%s: cannot be read\n", path), 1));
	return text.str();
}

// A call that the server waits for, answers, and then waits again.
class Served {
public:
	Served(bench::Echo::AsyncService *service, grpc::ServerCompletionQueue *queue)
		: service_(service), queue_(queue)
	{
		wait();
	}

	void proceed()
	{
		if (is_answered_) {
			wait();
			return;
		}
		is_answered_ = true;
		writer_->Finish(payload_, grpc::Status::OK, this);
	}

private:
	void wait()
	{
		is_answered_ = false;
		context_ = std::make_unique<grpc::ServerContext>();
		writer_ = std::make_unique<grpc::ServerAsyncResponseWriter<bench::Payload>>(
			context_.get());
		service_->RequestCall(context_.get(), &payload_, writer_.get(), queue_, queue_,
				      this);
	}

	bench::Echo::AsyncService *service_;
	grpc::ServerCompletionQueue *queue_;
	std::unique_ptr<grpc::ServerContext> context_;
	std::unique_ptr<grpc::ServerAsyncResponseWriter<bench::Payload>> writer_;
	bench::Payload payload_;
	bool is_answered_ = false;
};

int serve(const char *address, const char *cert, const char *key)
{
	grpc::SslServerCredentialsOptions options;
	bench::Echo::AsyncService service;
	grpc::ServerBuilder builder;
	std::vector<std::unique_ptr<Served>> calls;
	void *tag;
	bool is_ok;

	options.pem_key_cert_pairs.push_back({file_text(key), file_text(cert)});
	builder.AddListeningPort(address, grpc::SslServerCredentials(options));
	builder.RegisterService(&service);
	auto queue = builder.AddCompletionQueue();
	auto server = builder.BuildAndStart();
	if (!server)
		exit((fprintf(stderr, "%s: cannot listen\n", address), 1));
	for (int i = 0; i < 256; i++)
		calls.push_back(std::make_unique<Served>(&service, queue.get()));
	while (queue->Next(&tag, &is_ok))
		if (is_ok)
			static_cast<Served *>(tag)->proceed();
	return 0;
}

struct Call {
	uint64_t began_ns;
	std::unique_ptr<grpc::ClientContext> context;
	std::unique_ptr<grpc::ClientAsyncResponseReader<bench::Payload>> reader;
	bench::Payload reply;
	grpc::Status status;

	void start(bench::Echo::Stub *stub, const bench::Payload &request,
		   grpc::CompletionQueue *queue)
	{
		began_ns = now_ns();
		context = std::make_unique<grpc::ClientContext>();
		reader = stub->AsyncCall(context.get(), request, queue);
		reader->Finish(&reply, &status, this);
	}
};

int call(const char *remote, const char *cert, size_t len, unsigned cnt, unsigned seconds)
{
	grpc::SslCredentialsOptions options;
	grpc::ChannelArguments arguments;
	grpc::CompletionQueue queue;
	bench::Payload request;
	std::vector<Call> calls(cnt);
	struct latencies latencies;
	unsigned in_flight_cnt = cnt;
	void *tag;
	bool is_ok;

	options.pem_root_certs = file_text(cert);
	arguments.SetSslTargetNameOverride("bench");
	auto stub = bench::Echo::NewStub(
		grpc::CreateCustomChannel(remote, grpc::SslCredentials(options), arguments));
	request.set_data(std::string(len, 'x'));
	latencies_start(&latencies, seconds, now_ns());
	for (auto &each : calls)
		each.start(stub.get(), request, &queue);
	while (in_flight_cnt && queue.Next(&tag, &is_ok)) {
		Call *each = static_cast<Call *>(tag);

		if (!each->status.ok() || each->reply.data().size() != len)
			exit((fprintf(stderr, "rpc_grpc: %s\n",
				      each->status.error_message().c_str()),
			      1));
		if (latencies_add(&latencies, each->began_ns, now_ns()))
			each->start(stub.get(), request, &queue);
		else
			in_flight_cnt--;
	}
	latencies_print(&latencies, nullptr);
	return 0;
}

} // namespace

int main(int argc, char **argv)
{
	if (argc == 5 && std::string(argv[1]) == "serve")
		return serve(argv[2], argv[3], argv[4]);
	if (argc == 7 && std::string(argv[1]) == "call")
		return call(argv[2], argv[3], size_t(atoi(argv[4])), unsigned(atoi(argv[5])),
			    unsigned(atoi(argv[6])));
	fprintf(stderr, "rpc_grpc serve|call ADDRESS:PORT CERT ...\n");
	return 2;
}
