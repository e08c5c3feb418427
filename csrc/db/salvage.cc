// Salvage: from one directory into another.
#include "db/salvage.h"

#include "db/checkpoint.h"
#include "db/rescue.h"

namespace omen {

namespace {

// What a salvage that failed has made, so that it can be tried again.
void clean_up(Env* env, const std::string& path) {
  const auto names = list_directory(env, path);
  if (!names.is_ok()) return;
  for (const std::string& name : names.value()) {
    (void)remove_file(env, path + "/" + name).is_ok();
  }
}

Status check_destination(Env* env, const std::string& from, const std::string& to) {
  if (to == from || to.compare(0, from.size() + 1, from + "/") == 0) {
    return Status::error(ErrorCode::kArgument, to + " lies in the damaged database, which is left "
                                                    "as it is; give a path elsewhere");
  }
  FileStat found;
  OMEN_ASSIGN(const bool exists, stat_path(env, to, &found));
  if (!exists || !found.is_directory) return Status::ok();
  OMEN_ASSIGN(const std::vector<std::string> names, list_directory(env, to));
  if (names.empty()) return Status::ok();
  return Status::error(ErrorCode::kExists, to + " is not empty: it holds " + names[0] +
                                               "; salvage to a directory of its own")
      .with_path(to);
}

}  // namespace

Result<SalvageReport> Database::salvage(const DatabaseOptions& given, const std::string& to) {
  DatabaseOptions options = given;
  Env* const env = options.env != nullptr ? options.env : system_env();
  OMEN_TRY(check_path(given.path));
  OMEN_TRY(check_path(to));
  std::string from;
  int64_t resolved = env->absolute(given.path, &from);
  if (resolved < 0) return io_error(resolved, "resolve the path", given.path);
  resolved = env->absolute(to, &options.path);
  if (resolved < 0) return io_error(resolved, "resolve the path", to);
  OMEN_TRY(check_destination(env, from, options.path));
  SalvageReport report;
  MemoryBudget budget;
  MemoryAccount account(&budget);
  OMEN_ASSIGN(const std::unique_ptr<Remains> remains,
              Remains::open(env, from, &account, &report.loss));
  options.read_only = false;
  options.create_if_missing = true;
  options.seed = remains->manifest() == nullptr ? 0 : remains->manifest()->seed;
  OMEN_TRY(Directory::prepare(env, options.path, {}).status());
  OMEN_ASSIGN(std::shared_ptr<Database> database, make(options));
  const auto fill = [&]() -> Status {
    OMEN_TRY(database->open_directory(env));
    OMEN_TRY(Rescue(database->impl_.get(), remains.get(), &report).run());
    OMEN_TRY(database->start());
    return database->impl_->checkpointer->run();
  };
  Status status = fill();
  database.reset();
  if (status.is_ok()) return report;
  // Somebody else's by now, or all in it is ours: it was empty, and is locked first.
  if (status.code() != ErrorCode::kLocked) clean_up(env, options.path);
  return status;
}

}  // namespace omen
