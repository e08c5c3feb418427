// Making JavaScript values.
#include "napi/output.h"

#include <cstring>
#include <limits>

#include "db/option_names.h"
#include "napi/call.h"
#include "napi/ids.h"

namespace omen::napi {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

bool is_ascii(std::string_view text) {
  size_t i = 0;
  for (; i + 8 <= text.size(); i += 8) {
    uint64_t word;
    std::memcpy(&word, text.data() + i, 8);
    if ((word & 0x8080808080808080ull) != 0) return false;
  }
  for (; i < text.size(); ++i) {
    if ((static_cast<unsigned char>(text[i]) & 0x80) != 0) return false;
  }
  return true;
}

Status set_array(ObjectOut* object, const char* name, Result<ArrayOut> array, const void* from,
                 size_t bytes) {
  if (!array.is_ok()) return array.status();
  if (bytes > 0) std::memcpy(array.value().data, from, bytes);
  object->set(name, array.value().value);
  return Status::ok();
}

size_t element_bytes(napi_typedarray_type type) {
  switch (type) {
    case napi_float64_array:
      return 8;
    case napi_uint8_array:
      return 1;
    default:
      return 4;
  }
}

}  // namespace

ObjectOut& ObjectOut::number(const char* name, double value) {
  napi_value number = nullptr;
  napi_create_double(env_, value, &number);
  return set(name, number);
}

ObjectOut& ObjectOut::count(const char* name, uint64_t value) {
  return number(name, static_cast<double>(value));
}

ObjectOut& ObjectOut::flag(const char* name, bool value) {
  napi_value flag = nullptr;
  napi_get_boolean(env_, value, &flag);
  return set(name, flag);
}

ObjectOut& ObjectOut::text(const char* name, std::string_view value) {
  Result<napi_value> text = make_text(env_, value);
  return text.is_ok() ? set(name, text.value()) : *this;
}

ObjectOut& ObjectOut::texts(const char* name, const std::vector<std::string>& values) {
  napi_value array = nullptr;
  napi_create_array_with_length(env_, values.size(), &array);
  for (size_t i = 0; i < values.size(); ++i) {
    const Result<napi_value> text = make_text(env_, values[i]);
    if (text.is_ok()) napi_set_element(env_, array, static_cast<uint32_t>(i), text.value());
  }
  return set(name, array);
}

ObjectOut& ObjectOut::set(const char* name, napi_value value) {
  napi_set_named_property(env_, object_, name, value);
  return *this;
}

Result<ArrayOut> make_array(napi_env env, napi_typedarray_type type, size_t length) {
  ArrayOut out;
  napi_value buffer = nullptr;
  if (napi_create_arraybuffer(env, length * element_bytes(type), &out.data, &buffer) != napi_ok ||
      napi_create_typedarray(env, type, length, buffer, 0, &out.value) != napi_ok) {
    return Status::error(ErrorCode::kMemory,
                         "cannot allocate an array of " + std::to_string(length) + " elements");
  }
  return out;
}

Result<napi_value> make_text(napi_env env, std::string_view text) {
  if (text.size() > kStringBytesMax) {
    return Status::error(ErrorCode::kLimit,
                         "the answer is too large for one string; ask for fewer rows at once");
  }
  napi_value value = nullptr;
  const napi_status status = is_ascii(text)
                                 ? napi_create_string_latin1(env, text.data(), text.size(), &value)
                                 : napi_create_string_utf8(env, text.data(), text.size(), &value);
  if (status != napi_ok) return Status::error(ErrorCode::kMemory, "cannot allocate a string");
  return value;
}

napi_value make_integer(napi_env env, uint64_t value) {
  napi_value out = nullptr;
  if (value <= kSafeIntegerMax) {
    napi_create_double(env, static_cast<double>(value), &out);
  } else {
    napi_create_bigint_uint64(env, value, &out);
  }
  return out;
}

bool fits_numbers(const Rows& rows) {
  for (const IdOut& id : rows.ids) {
    if (id.is_string || id.value > kSafeIntegerMax) return false;
  }
  return true;
}

void append_rows_json(const Rows& rows, const JsonParts& parts, std::string* out) {
  out->push_back('{');
  if (parts.ids) {
    out->append("\"ids\":[");
    for (size_t i = 0; i < rows.ids.size(); ++i) {
      if (i > 0) out->push_back(',');
      append_id_json(rows.ids[i], rows.text, out);
    }
    out->push_back(']');
  }
  if (parts.metadata) {
    out->append(parts.ids ? ",\"metadata\":" : "\"metadata\":");
    out->append(rows.metadata.empty() ? std::string_view("[]") : std::string_view(rows.metadata));
  }
  out->push_back('}');
}

void RowsOut::finish(const RowsShape& rows_shape) {
  shape = rows_shape;
  const bool with_ids = shape.kind != RowsKind::kGet && !fits_numbers(rows);
  const JsonParts parts{with_ids, (shape.include & kIncludeMetadata) != 0};
  if (parts.ids || parts.metadata) append_rows_json(rows, parts, &json);
  rows.metadata = {};
}

Result<napi_value> make_rows(napi_env env, const RowsOut& out) {
  const Rows& rows = out.rows;
  const RowsShape& shape = out.shape;
  const bool is_get = shape.kind == RowsKind::kGet;
  const size_t count = is_get ? rows.found.size() : rows.ids.size();
  ObjectOut object(env);
  object.count("count", count).count("dimensions", shape.dimensions);
  object.flag("hasDates", rows.has_dates).flag("approximate", rows.approximate);
  if (out.ids_fit_numbers()) {
    OMEN_ASSIGN(const ArrayOut ids, make_array(env, napi_float64_array, count));
    auto* numbers = static_cast<double*>(ids.data);
    for (size_t i = 0; i < count; ++i) numbers[i] = static_cast<double>(rows.ids[i].value);
    object.set("ids", ids.value);
  }
  if (shape.kind == RowsKind::kHits) {
    OMEN_TRY(set_array(&object, "distances", make_array(env, napi_float32_array, count),
                       rows.distances.data(), count * sizeof(float)));
  }
  if (is_get) {
    OMEN_TRY(set_array(&object, "found", make_array(env, napi_uint8_array, count),
                       rows.found.data(), count));
  }
  if (!out.json.empty()) {
    OMEN_ASSIGN(const napi_value text, make_text(env, out.json));
    object.set("json", text);
  }
  if ((shape.include & kIncludeVector) != 0) {
    if (rows.vectors.size() * sizeof(float) > kVectorBytesMax) {
      return Status::error(ErrorCode::kLimit,
                           "more than 1 GiB of vectors; ask for fewer rows at once");
    }
    OMEN_TRY(set_array(&object, "vectors", make_array(env, napi_float32_array, rows.vectors.size()),
                       rows.vectors.data(), rows.vectors.size() * sizeof(float)));
  }
  return object.value();
}

Result<napi_value> make_batch(napi_env env, const Rows& rows, const std::vector<uint32_t>& counts,
                              uint32_t k) {
  const size_t hits = counts.size() * k;
  OMEN_ASSERT(rows.ids.size() == hits && rows.distances.size() == hits);
  ObjectOut object(env);
  object.flag("approximate", rows.approximate);
  OMEN_TRY(set_array(&object, "counts", make_array(env, napi_uint32_array, counts.size()),
                     counts.data(), counts.size() * sizeof(uint32_t)));
  OMEN_TRY(set_array(&object, "distances", make_array(env, napi_float32_array, hits),
                     rows.distances.data(), hits * sizeof(float)));
  if (fits_numbers(rows)) {
    OMEN_ASSIGN(const ArrayOut ids, make_array(env, napi_float64_array, hits));
    auto* numbers = static_cast<double*>(ids.data);
    for (size_t i = 0; i < hits; ++i) {
      numbers[i] = i % k < counts[i / k] ? static_cast<double>(rows.ids[i].value) : kNaN;
    }
    object.set("ids", ids.value);
    return object.value();
  }
  std::string json("[");
  for (size_t i = 0; i < hits; ++i) {
    if (i > 0) json.push_back(',');
    if (i % k < counts[i / k]) {
      append_id_json(rows.ids[i], rows.text, &json);
    } else {
      json.append("null");
    }
  }
  json.push_back(']');
  OMEN_ASSIGN(const napi_value text, make_text(env, json));
  object.set("json", text);
  return object.value();
}

napi_value make_plan(napi_env env, const Plan& plan) {
  return ObjectOut(env)
      .text("plan", plan.plan)
      .flag("fallback", plan.fallback)
      .number("selectivity", plan.selectivity)
      .count("matches", plan.matches)
      .count("rowsScored", plan.rows_scored)
      .count("hops", plan.hops)
      .count("reranked", plan.reranked)
      .count("ef", plan.ef)
      .count("nativeNs", plan.native_ns)
      .flag("approximate", plan.approximate)
      .value();
}

napi_value make_stats(napi_env env, const CollectionStats& stats) {
  const CollectionStats::Bytes& b = stats.bytes;
  ObjectOut bytes(env);
  bytes.count("vectors", b.vectors).count("codes", b.codes).count("graph", b.graph);
  bytes.count("ids", b.ids).count("metadata", b.metadata).count("columns", b.columns);
  bytes.count("scratch", b.scratch).count("retired", b.retired).count("total", b.total);
  bytes.count("mapped", b.mapped);
  const CollectionOptions& options = stats.options;
  ObjectOut object(env);
  object.text("name", stats.name).count("dimensions", options.dimensions);
  object.text("metric", name_of(options.metric));
  object.text("quantization", name_of(options.quantization));
  object.text("layout", name_of(options.layout));
  object.count("m", options.m).count("efConstruction", options.ef_construction);
  object.flag("keepVectors", options.keep_vectors);
  if (!options.schema_json.empty()) object.text("schema", options.schema_json);
  object.count("count", stats.count).count("deleted", stats.deleted);
  object.count("freeSlots", stats.free_slots).count("levels", stats.levels);
  object.count("indexedFields", stats.indexed_fields);
  object.set("nextId", make_integer(env, stats.next_id)).flag("trained", stats.trained);
  object.count("clamped", stats.clamped);
  object.count("consolidations", stats.consolidations).set("bytes", bytes.value());
  return object.value();
}

napi_value make_stats(napi_env env, const DatabaseStats& stats) {
  napi_value collections = nullptr;
  napi_create_array_with_length(env, stats.collections.size(), &collections);
  for (size_t i = 0; i < stats.collections.size(); ++i) {
    napi_set_element(env, collections, static_cast<uint32_t>(i),
                     make_stats(env, stats.collections[i]));
  }
  ObjectOut out(env);
  out.set("collections", collections)
      .count("bytes", stats.bytes)
      .count("bytesLimit", stats.bytes_limit)
      .text("simd", stats.simd)
      .text("simdFeatures", stats.simd_features)
      .count("threads", stats.threads);
  if (stats.is_on_disk) {
    const std::vector<std::string>& rebuilt = stats.recovery.rebuilt_graphs;
    ObjectOut recovery(env);
    recovery.count("records", stats.recovery.records)
        .count("cutBytes", stats.recovery.cut_bytes)
        .count("snapshotRecords", stats.recovery.snapshot_records)
        .count("rebuiltGraphs", rebuilt.size())
        .texts("rebuiltCollections", rebuilt);
    out.set("recovery", recovery.value());
    ObjectOut storage(env);
    storage.count("snapshotBytes", stats.storage.snapshot_bytes)
        .count("logBytes", stats.storage.log_bytes)
        .count("checkpoints", stats.storage.checkpoints)
        .text("checkpointError", stats.storage.checkpoint_error);
    out.set("storage", storage.value());
  }
  return out.value();
}

napi_value make_report(napi_env env, const CheckReport& report) {
  return ObjectOut(env)
      .text("name", report.name)
      .flag("ok", report.ok)
      .count("records", report.records)
      .count("unreachable", report.unreachable)
      .text("problem", report.problem)
      .value();
}

}  // namespace omen::napi
