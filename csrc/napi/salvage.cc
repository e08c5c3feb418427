// The function salvage: one task on the pool, which blocks as long as it takes.
#include "napi/salvage.h"

#include "db/salvage.h"
#include "napi/classes.h"
#include "napi/operation.h"
#include "napi/output.h"

namespace omen::napi {
namespace {

constexpr size_t kPathBytesMax = 4096;

Result<napi_value> make_lines(napi_env env, const std::vector<std::string>& lines) {
  napi_value array = nullptr;
  napi_create_array_with_length(env, lines.size(), &array);
  for (size_t i = 0; i < lines.size(); ++i) {
    OMEN_ASSIGN(const napi_value line, make_text(env, lines[i]));
    napi_set_element(env, array, static_cast<uint32_t>(i), line);
  }
  return array;
}

Result<napi_value> make_salvage_report(napi_env env, const SalvageReport& report) {
  napi_value collections = nullptr;
  napi_create_array_with_length(env, report.collections.size(), &collections);
  for (size_t i = 0; i < report.collections.size(); ++i) {
    const SalvageReport::Part& part = report.collections[i];
    ObjectOut out(env);
    out.text("name", part.name)
        .count("records", part.records)
        .flag("hasOptions", part.has_options);
    napi_set_element(env, collections, static_cast<uint32_t>(i), out.value());
  }
  OMEN_ASSIGN(const napi_value told, make_lines(env, report.loss.told));
  ObjectOut lost(env);
  lost.count("files", report.loss.files)
      .count("tables", report.loss.tables)
      .count("extents", report.loss.extents)
      .count("entries", report.loss.records)
      .count("updates", report.loss.rows)
      .count("bytes", report.loss.bytes);
  return ObjectOut(env)
      .flag("isWhole", report.is_whole())
      .flag("hasManifest", report.has_manifest)
      .flag("hasTable", report.has_table)
      .count("cutBytes", report.cut_bytes)
      .set("lost", lost.value())
      .set("problems", told)
      .set("collections", collections)
      .value();
}

class SalvageOp final : public PoolOp {
 public:
  Status read(const Call& call) {
    OMEN_TRY(read_text(call.env, call.arguments[0], {"path", kPathBytesMax, ErrorCode::kArgument},
                       &from_.path));
    return read_text(call.env, call.arguments[1], {"out", kPathBytesMax, ErrorCode::kArgument},
                     &to_);
  }
  Result<napi_value> answer(Environment& environment) override {
    return make_salvage_report(environment.env(), report_);
  }

 protected:
  Status run() override {
    OMEN_ASSIGN(report_, Database::salvage(from_, to_));
    return Status::ok();
  }

 private:
  DatabaseOptions from_;
  std::string to_;
  SalvageReport report_;
};

napi_value salvage(napi_env env, napi_callback_info info) {
  const Call call(env, info);
  auto op = std::make_unique<SalvageOp>();
  Status status = op->read(call);
  if (status.is_ok()) status = call.environment->executor().status();
  if (!status.is_ok()) return call.environment->rejected(status);
  auto operation = use_operation(env, call.arguments[2]);
  if (!operation.is_ok()) return call.environment->rejected(operation.status());
  op->operation = operation.take();
  return call.environment->start(std::move(op));
}

}  // namespace

bool define_salvage(Environment& environment, napi_value exports) {
  static constexpr Member kFunctions[] = {{"salvage", salvage}};
  return define_functions(environment, exports, kFunctions);
}

}  // namespace omen::napi
