// The rows of a filter: from the cache, from the cache and what changed since, or evaluated anew.
#include <bit>

#include "db/collection_impl.h"

namespace omen {

// Every slot below the high water mark. Where all of them hold records nobody is asked whether it
// does, unless a commit changes that meanwhile.
Status Collection::Impl::evaluate_rows(const Store& s, const CompiledFilter& compiled,
                                       CachedRows* out) const {
  const uint32_t high = s.high_water();
  const bool are_all_live = (out->version & 1) == 0 && s.live() == high;
  OMEN_TRY(compiled.run(s.kernels, high, &out->rows));
  if (are_all_live && s.version.load(std::memory_order_acquire) == out->version) {
    out->matches = out->rows.count();
    return Status::ok();
  }
  uint64_t* words = out->rows.words();
  for (uint32_t w = 0; w < out->rows.word_count(); ++w) {
    uint64_t kept = words[w];
    for (uint64_t bits = kept; bits != 0; bits &= bits - 1) {
      const auto bit = static_cast<uint32_t>(std::countr_zero(bits));
      if (!s.is_live(w * 64 + bit)) kept &= ~(uint64_t{1} << bit);
    }
    words[w] = kept;
  }
  out->matches = out->rows.count();
  return Status::ok();
}

// Copies an older set, and asks again for the slots that changed since. False if they are not
// known any more. The caller is pinned since before `out->changes` was read: a slot of the old set
// that no note names still holds the same record.
Result<bool> Collection::Impl::patch_rows(const Store& s, const CompiledFilter& compiled,
                                          const CachedRows& old, CachedRows* out) const {
  if (out->changes - old.changes >= Changes::kKept) return false;
  OMEN_TRY(out->rows.copy_from(old.rows));
  OMEN_TRY(out->rows.resize(s.high_water()));
  out->matches = old.matches;
  return s.changes.visit_since(old.changes, [&](uint32_t slot) {
    // A slot beyond was noted by a commit that is still publishing: it comes after this search.
    if (slot >= out->rows.size()) return;
    const bool was = out->rows.contains(slot);
    const bool is = s.is_live(slot) && compiled.matches(slot);
    if (is == was) return;
    if (is) {
      out->rows.add(slot);
      ++out->matches;
    } else {
      out->rows.remove(slot);
      --out->matches;
    }
  });
}

// Live slots that match.
Status Collection::Impl::filter_rows(Store& s, const std::shared_ptr<const Filter>& filter,
                                     std::shared_ptr<const CachedRows>* out) {
  const uint64_t version = s.version.load(std::memory_order_acquire);
  const bool quiet = (version & 1) == 0;
  const std::shared_ptr<const CachedRows> old = row_cache_.find(s.generation(), *filter);
  if (quiet && old != nullptr && old->version == version) {
    *out = old;
    return Status::ok();
  }
  auto fresh = std::make_shared<CachedRows>(&account);
  fresh->generation = s.generation();
  fresh->version = version;
  fresh->changes = s.changes.count();
  OMEN_TRY(index_metadata(s));
  if (!s.is_indexed.load(std::memory_order_acquire)) {
    OMEN_TRY(fresh->rows.resize(s.high_water()));
    *out = std::move(fresh);
    return Status::ok();
  }
  OMEN_ASSIGN(const CompiledFilter compiled, CompiledFilter::compile(*filter, s.columns, s));
  bool patched = false;
  if (old != nullptr) {
    OMEN_ASSIGN(patched, patch_rows(s, compiled, *old, fresh.get()));
  }
  if (!patched) OMEN_TRY(evaluate_rows(s, compiled, fresh.get()));
  if (quiet && s.version.load(std::memory_order_acquire) == version) row_cache_.put(filter, fresh);
  *out = std::move(fresh);
  return Status::ok();
}

}  // namespace omen
