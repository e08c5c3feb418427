// Epochs on one thread: what a pin protects, against a model.
#include <vector>

#include "memory/epoch.h"
#include "test.h"

using namespace omen;

namespace {

void count_up(void* object, void*) { ++*static_cast<int*>(object); }

}  // namespace

// An object must live exactly as long as a pin taken before its retirement does.
TEST(objects_outlive_the_pins_before_them) {
  Random random(test_seed());
  struct Held {
    EpochDomain::Pin pin;
    int taken_at;
  };
  std::vector<int> destroyed(20000, 0);  // By object.
  std::vector<int> retired_at(20000, -1);
  {
    EpochDomain epochs;
    std::vector<Held> held;
    int objects = 0;
    for (int step = 0; step < 30000; ++step) {
      switch (random.below(4)) {
        case 0:
          if (held.size() < 20) held.push_back({epochs.pin(), step});
          break;
        case 1:
          if (!held.empty()) {
            held.erase(held.begin() + static_cast<long>(random.below(held.size())));
          }
          break;
        case 2:
          if (objects < 20000) {
            retired_at[static_cast<size_t>(objects)] = step;
            epochs.retire(&destroyed[static_cast<size_t>(objects)], count_up, nullptr, 10);
            ++objects;
          }
          break;
        default: {
          epochs.collect();
          int oldest = step;
          for (const Held& h : held) oldest = std::min(oldest, h.taken_at);
          for (int i = std::max(0, objects - 200); i < objects; ++i) {
            const auto o = static_cast<size_t>(i);
            if (retired_at[o] > oldest) CHECK_EQ(destroyed[o], 0);
            if (held.empty()) CHECK_EQ(destroyed[o], 1);
          }
        }
      }
    }
    held.clear();
    epochs.collect();
    for (int i = 0; i < objects; ++i) CHECK_EQ(destroyed[static_cast<size_t>(i)], 1);
    CHECK_EQ(epochs.retired_bytes(), 0);
  }
}

// A pin without writers must not hold up later retirements for ever: epochs advance by collecting.
TEST(pins_nest_and_move) {
  EpochDomain epochs;
  int destroyed = 0;
  EpochDomain::Pin outer = epochs.pin();
  {
    EpochDomain::Pin inner = epochs.pin();
    CHECK(epochs.is_pinned_by_this_thread());
    epochs.retire(&destroyed, count_up, nullptr, 1);
    CHECK_EQ(epochs.collect(), 0);
    outer = std::move(inner);
  }
  CHECK_EQ(epochs.collect(), 0);
  EpochDomain::Pin later = epochs.pin();
  outer.release();
  CHECK_EQ(epochs.collect(), 1);  // `later` came after the retirement was stamped.
  CHECK_EQ(destroyed, 1);
  later.release();
  CHECK(!epochs.is_pinned_by_this_thread());
  epochs.synchronize();
}

// Destroying may retire more, also while the domain itself dies.
TEST(destruction_may_retire) {
  struct Chain {
    EpochDomain* epochs;
    int left;
    RetireNode node;
  };
  static constexpr auto next = [](void* object, void*) {
    auto* chain = static_cast<Chain*>(object);
    if (--chain->left > 0) {
      chain->epochs->retire(&chain->node, chain, chain->node.destroy, nullptr, 8);
    }
  };
  Chain chain{nullptr, 5, {}};
  {
    EpochDomain epochs;
    chain.epochs = &epochs;
    epochs.retire(&chain.node, &chain, +next, nullptr, 8);
    CHECK_EQ(epochs.retired_bytes(), 8);
    CHECK_EQ(epochs.collect(), 1);
    CHECK_EQ(chain.left, 4);
  }
  CHECK_EQ(chain.left, 0);
}
