// The class Collection: reads in collection_reads.cc and search.cc, writes in collection_writes.cc.
//
// Objects of it come from Database.collection alone; JavaScript cannot construct one.
// Threads: the JS thread.
#pragma once

#include <memory>
#include <span>

#include "napi/classes.h"
#include "napi/environment.h"
#include "napi/handle.h"

namespace omen::napi {

bool define_collection(Environment& environment);
// The object of a collection of this handle. nullptr: a JS exception is pending.
napi_value make_collection(Environment& environment, const std::shared_ptr<Handle>& handle,
                           std::shared_ptr<Collection> collection);

// The methods of search.cc, collection_reads.cc, collection_writes.cc: see types/native.ts.
std::span<const Member> search_methods();
std::span<const Member> read_methods();
std::span<const Member> write_methods();

}  // namespace omen::napi
