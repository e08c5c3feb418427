// Store: ids, scorers and memory of a collection's slots.
#include "db/store.h"

#include <bit>
#include <cstring>
#include <new>
#include <type_traits>

#include "base/random.h"
#include "meta/json.h"

namespace omen {

namespace {

constexpr size_t kExtentVectorBytes = size_t{64} << 10;
constexpr uint64_t kStringSeed = 0x73747269;

GraphOptions graph_options(const CollectionOptions& o, uint64_t seed) {
  GraphOptions g;
  g.m = o.m;
  g.ef_construction = o.ef_construction;
  g.seed = seed;
  g.tracks_changes = o.layout == Layout::kFast;
  return g;
}

// Rows start on a cache line where that costs at most an eighth.
size_t vector_stride(uint32_t dimensions) {
  const size_t bytes = dimensions * sizeof(float);
  const size_t lines = round_up(bytes, kCacheLineBytes);
  return lines - bytes <= bytes / 8 ? lines : round_up(bytes, 16);
}

}  // namespace

uint64_t hash_id(const IdView& id) {
  static const uint64_t seed = process_seed();  // Ids that collide cannot be chosen ahead.
  if (!id.is_string) return mix64(id.integer ^ seed);
  return hash_bytes(id.text.data(), id.text.size(), kStringSeed ^ seed);
}

std::string id_to_json(const IdView& id) {
  std::string out;
  if (id.is_string) {
    append_json_string(id.text, &out);
  } else if (id.integer <= (uint64_t{1} << 53) - 1) {
    out = std::to_string(id.integer);
  } else {
    out = "{\"$int\":\"" + std::to_string(id.integer) + "\"}";
  }
  return out;
}

Store::Store(MemoryAccount* account_in, EpochDomain* epochs_in, const CollectionOptions& options,
             const simd::Kernels& kernels_in, uint64_t seed, uint32_t generation,
             std::shared_ptr<const Schema> schema)
    : account(account_in),
      epochs(epochs_in),
      kernels(kernels_in),
      has_norms(options.metric == Metric::kCosine),
      keep_vectors(options.keep_vectors),
      slots(account_in),
      states(account_in, Use::kGraph),
      vectors(account_in, Use::kVectors, vector_stride(options.dimensions),
              SlotPages::Paging::kAtCollapse),
      norms(account_in, Use::kCodes, sizeof(float)),
      ids(account_in, Use::kIds, sizeof(uint64_t)),
      orders(account_in),
      id_blocks(account_in, Use::kIds),
      index(account_in, Use::kIds, epochs_in),
      graph(account_in, &states, graph_options(options, seed), kernels_in),
      columns(account_in, epochs_in),
      floats(distance_of(options.metric), options.dimensions, kernels_in),
      unsaved(account_in),
      dimensions_(options.dimensions),
      metric_(options.metric),
      generation_(generation) {
  columns.set_schema(std::move(schema));
}

Store::~Store() = default;

Status Store::ensure_staged(uint32_t count) {
  OMEN_TRY(states.ensure(count));
  if (mapped != nullptr) {
    OMEN_TRY(mapped->ensure(count));
  } else if (keep_vectors) {
    OMEN_TRY(vectors.ensure(count));
  }
  if (has_norms) OMEN_TRY(norms.ensure(count));
  OMEN_TRY(ids.ensure(count));
  return orders.ensure(count);
}

uint32_t Store::extent_rows() const {
  const size_t fitting = std::max<size_t>(kExtentVectorBytes / vectors.stride(), 1);
  return static_cast<uint32_t>(std::min<size_t>(std::bit_floor(fitting), kExtentRowsMax));
}

void Store::keep_unsaved(std::shared_ptr<UnsavedBytes> total) {
  is_saved = true;
  unsaved.set_extent_rows(extent_rows());
  unsaved.count_in(std::move(total));
  unsaved.set_extent_bytes(uint64_t{extent_rows()} * vectors.stride());
  slots.set_group(extent_rows());
}

void Store::populate_staged(uint32_t first, uint32_t count) const {
  states.populate(first, count);
  if (has_norms) norms.populate(first, count);
  ids.populate(first, count);
  orders.populate(first, count);
}

void Store::trim_staged() {
  for (bool more = true; more;) {
    const std::lock_guard<std::mutex> guard(stage_mutex);
    const uint32_t end = std::max(slots.trim(high_water()), 1u);
    const SlotPages& widest = keep_vectors && mapped == nullptr ? vectors : ids;
    const uint32_t had = widest.rows();
    const uint32_t step = widest.view().mask + 1;
    const uint32_t to = had > step ? std::max(end, had - step) : end;
    more = to > end;
    if (mapped != nullptr) {
      mapped->shrink(to);
    } else if (keep_vectors) {
      vectors.shrink(to);
    }
    if (has_norms) norms.shrink(to);
    ids.shrink(to);
    orders.shrink(to);
  }
}

void Store::read_vector(uint32_t slot, float* out) const {
  const CodeSet* codes = this->codes();
  if (keep_vectors || codes == nullptr) {
    std::copy_n(vector(slot), dimensions_, out);
    return;
  }
  codes->decode(slot, out);
  if (!has_norms) return;
  const float length = 1.0f / scale(slot);
  for (size_t i = 0; i < dimensions_; ++i) out[i] = bounded(out[i] * length);
}

Status Store::stage_id(uint32_t slot, const IdView& id) {
  uint64_t word = id.integer;
  if (id.is_string) {
    OMEN_ASSIGN(void* memory, id_blocks.allocate(IdBlock::size_of(id.text.size())));
    auto* block = static_cast<IdBlock*>(memory);
    block->length = static_cast<uint32_t>(id.text.size());
    std::memcpy(block->bytes(), id.text.data(), id.text.size());
    word = reinterpret_cast<uintptr_t>(block);
  }
  ids.row_as<std::atomic<uint64_t>>(slot)->store(word, std::memory_order_release);
  if (id.is_string) states.set(slot, SlotStates::kStringId);
  return Status::ok();
}

void Store::free_slot(uint32_t slot) {
  if (states.has(slot, SlotStates::kStringId)) {
    const uint64_t word = ids.row_as<std::atomic<uint64_t>>(slot)->load();
    auto* block = reinterpret_cast<IdBlock*>(static_cast<uintptr_t>(word));
    id_blocks.release(block, IdBlock::size_of(block->length));
  }
  states.reset(slot);
  slots.release(slot);
}

IdView Store::id_view(uint32_t slot) const {
  const uint64_t word = ids.row_as<std::atomic<uint64_t>>(slot)->load(std::memory_order_acquire);
  IdView id;
  id.is_string = states.has(slot, SlotStates::kStringId);
  if (!id.is_string) {
    id.integer = word;
  } else if (word != 0) {
    const auto* block = reinterpret_cast<const IdBlock*>(static_cast<uintptr_t>(word));
    id.text = {block->bytes(), block->length};
  }
  return id;
}

bool Store::id_of(uint32_t slot, uint64_t* integer, std::string_view* string) const {
  // A filter asks for every slot. One without a record may be in the hands of a batch that is just
  // staging an id of the other kind; one with a record keeps its id while the caller is pinned.
  constexpr uint8_t kRecord = SlotStates::kLive | SlotStates::kMarked;
  if ((states.load(slot) & kRecord) == 0) {
    *integer = 0;
    return true;
  }
  const IdView id = id_view(slot);
  if (id.is_string)
    *string = id.text;
  else
    *integer = id.integer;
  return !id.is_string;
}

uint32_t Store::find(const IdView& id) const {
  return index.find(hash_id(id), [&](uint32_t slot) {
    return is_same(id_view(slot), id);
  });
}

// A slot that was replaced stops being live after the index has left it, one that was deleted
// before.
uint32_t Store::current_of(uint32_t slot) const {
  const IdView id = id_view(slot);
  for (uint32_t before = kNoSlot;;) {
    const uint32_t current = find(id);
    if (current == kNoSlot || is_live(current)) return current;
    if (current == before) return kNoSlot;
    before = current;
  }
}

std::unique_ptr<SlotScorer> Store::BuildSpace::make_slot_scorer() const {
  const auto finish = [&](auto scorer) -> std::unique_ptr<SlotScorer> {
    if (scorer == nullptr || !scorer->reserve(store_.dimensions()).is_ok()) return nullptr;
    return scorer;
  };
  const auto on_codes = [&](const auto& codec) -> std::unique_ptr<SlotScorer> {
    using CodeScorer = RowScorer<std::remove_cvref_t<decltype(codec)>>;
    return finish(std::unique_ptr<CodeScorer>(
        new (std::nothrow) CodeScorer(codec, codes_->views(), store_.kernels, nullptr)));
  };
  if (codes_ != nullptr && (codes_->sq8() != nullptr || !store_.keep_vectors)) {
    return codes_->visit(on_codes);
  }
  using FloatScorer = RowScorer<Float32Codec>;
  return finish(std::unique_ptr<FloatScorer>(new (std::nothrow) FloatScorer(
      store_.floats, store_.float_views(), store_.kernels, nullptr)));
}

}  // namespace omen
