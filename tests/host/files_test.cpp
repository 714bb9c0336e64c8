#include "host/files.h"

#include <csignal>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/temporary_folder.h"

namespace dnc {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::MatchesRegex;

TEST(FormatSize, UsesTheUnitThatReadsBest) {
  EXPECT_EQ(format_size(0), "0 bytes");
  EXPECT_EQ(format_size(1), "1 byte");
  EXPECT_EQ(format_size(999), "999 bytes");
  EXPECT_EQ(format_size(1000), "1.0 kB");
  EXPECT_EQ(format_size(999'949), "999.9 kB");
  EXPECT_EQ(format_size(999'950), "1.0 MB");
  EXPECT_EQ(format_size(1'234'567'890), "1.2 GB");
  EXPECT_EQ(format_size(5'000'000'000'000'000), "5000.0 TB");
}

TEST(InputFile, ReadsAnywhereAndRefusesToReadBeyondTheEnd) {
  const TemporaryFolder folder;
  put_bytes(folder / "a", "0123456789");
  const InputFile file(folder / "a");
  EXPECT_EQ(file.size(), 10u);
  char part[4] = {};
  file.read(6, part, 4);
  EXPECT_EQ(std::string(part, 4), "6789");
  EXPECT_EQ(message_of<Error>([&] { file.read(8, part, 4); }),
            (folder / "a").string() + ": ends at byte 10, 2 more were expected");
}

TEST(InputFile, TellsWhatItCannotOpen) {
  const TemporaryFolder folder;
  EXPECT_EQ(message_of<FileError>([&] { InputFile(folder / "none"); }),
            (folder / "none").string() + ": cannot be opened: No such file or directory");
  EXPECT_EQ(message_of<Error>([&] { InputFile(folder.path()); }),
            folder.path().string() + ": is a folder, not a file");
  // A pipe without a writer would block for ever.
  ASSERT_EQ(::mkfifo((folder / "pipe").c_str(), 0600), 0);
  EXPECT_EQ(message_of<Error>([&] { InputFile(folder / "pipe"); }),
            (folder / "pipe").string() + ": is a device or a pipe, not a file");
}

TEST(ReadFile, RefusesMoreThanTheLimit) {
  const TemporaryFolder folder;
  put_bytes(folder / "a", "12345");
  EXPECT_EQ(read_file(folder / "a", 5), "12345");
  EXPECT_EQ(message_of<Error>([&] { read_file(folder / "a", 4); }),
            (folder / "a").string() + ": has 5 bytes, at most 4 bytes are expected");
}

TEST(Checksum, IsTheCrc32OfZlib) {
  Checksum sum;
  sum.add("123456789", 9);
  EXPECT_EQ(sum.crc, 0xcbf43926u);  // the check value that every list of CRCs gives
  EXPECT_EQ(sum.size, 9u);
}

TEST(Checksum, OfAFileIsThatOfWhatWasWritten) {
  const TemporaryFolder folder;
  std::string text(3'000'001, 'x');  // more than one part
  for (size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>(i * i >> 7);
  OutputFile file(folder / "a");
  file.write(text.substr(0, 7));
  file.write(text.substr(7));
  file.finish();
  EXPECT_EQ(bytes_of(folder / "a"), text);
  EXPECT_EQ(checksum(InputFile(folder / "a")), file.checksum());
  Checksum at_once;
  at_once.add(text.data(), text.size());
  EXPECT_EQ(at_once, file.checksum());
}

TEST(OutputFile, ReportsAFullDisk) {
  if (!fs::exists("/dev/full")) GTEST_SKIP() << "this system has no /dev/full";
  OutputFile file("/dev/full");
  try {
    file.write("text");
    FAIL() << "nothing was thrown";
  } catch (const FileError& error) {
    EXPECT_STREQ(error.what(), "/dev/full: cannot be written: No space left on device");
    EXPECT_TRUE(error.disk_full());
  }
}

TEST(WriteFile, ReplacesAFileAndLeavesNothingElse) {
  const TemporaryFolder folder;
  write_file(folder / "a", "one");
  write_file(folder / "a", "two");
  EXPECT_EQ(bytes_of(folder / "a"), "two");
  EXPECT_EQ(std::distance(fs::directory_iterator(folder.path()), {}), 1);
}

TEST(WriteFile, FailsWithTheFilesNameWhereTheFolderIsMissing) {
  const TemporaryFolder folder;
  EXPECT_THAT(
      message_of<FileError>([&] { write_file(folder / "no" / "a", "one"); }),
      MatchesRegex(".*/no/\\.a\\.[0-9]+\\.tmp: cannot be created: No such file or directory"));
}

TEST(AtomicFile, LeavesTheOldOneWithoutCommit) {
  const TemporaryFolder folder;
  write_file(folder / "a", "one");
  {
    AtomicFile file(folder / "a");
    file.file().write("two");
  }
  EXPECT_EQ(bytes_of(folder / "a"), "one");
  EXPECT_EQ(std::distance(fs::directory_iterator(folder.path()), {}), 1);
}

TEST(AppendFile, CutsOffALastLineThatACrashLeft) {
  const TemporaryFolder folder;
  put_bytes(folder / "a", "one\ntwo\nthr");
  AppendFile(folder / "a").append("three");
  EXPECT_EQ(bytes_of(folder / "a"), "one\ntwo\nthree\n");
  put_bytes(folder / "a", "no line break at all");
  AppendFile(folder / "a").append("one");
  EXPECT_EQ(bytes_of(folder / "a"), "one\n");
}

TEST(AppendFile, FindsTheLastLineBreakFarFromTheEnd) {
  const TemporaryFolder folder;
  put_bytes(folder / "a", "one\n" + std::string(2'500'000, 'x'));
  AppendFile(folder / "a").append("two");
  EXPECT_EQ(bytes_of(folder / "a"), "one\ntwo\n");
}

TEST(AtomicFolder, AppearsWithCommitAndNotBefore) {
  const TemporaryFolder folder;
  AtomicFolder made(folder / "new");
  write_file(made.path() / "a", "one");
  EXPECT_FALSE(fs::exists(folder / "new"));
  EXPECT_TRUE(is_temporary(made.path()));
  made.commit();
  EXPECT_EQ(bytes_of(folder / "new" / "a"), "one");
}

TEST(AtomicFolder, IsRemovedWithoutCommit) {
  const TemporaryFolder folder;
  {
    const AtomicFolder made(folder / "new");
    write_file(made.path() / "a", "one");
  }
  EXPECT_TRUE(fs::is_empty(folder.path()));
}

TEST(AtomicFolder, ReplacesAFolderOfItsName) {
  const TemporaryFolder folder;
  fs::create_directory(folder / "new");
  put_bytes(folder / "new" / "old", "one");
  {
    AtomicFolder made(folder / "new/");
    write_file(made.path() / "a", "two");
    made.commit();
  }
  EXPECT_EQ(bytes_of(folder / "new" / "a"), "two");
  EXPECT_FALSE(fs::exists(folder / "new" / "old"));
  EXPECT_EQ(std::distance(fs::directory_iterator(folder.path()), {}), 1);
}

TEST(CreateFolder, MakesParentsAndAcceptsWhatIsThere) {
  const TemporaryFolder folder;
  create_folder(folder / "a/b/c/");
  create_folder(folder / "a/b");
  EXPECT_TRUE(fs::is_directory(folder / "a/b/c"));
  put_bytes(folder / "file", "");
  EXPECT_EQ(message_of<FileError>([&] { create_folder(folder / "file/x"); }),
            (folder / "file").string() + ": cannot be created: Not a directory");
}

TEST(RemoveTemporaries, LeavesEverythingElse) {
  const TemporaryFolder folder;
  fs::create_directories(folder / ".step_1.77.tmp/inside");
  for (const char* name : {".a.77.tmp", "a.tmp", ".hidden"}) put_bytes(folder / name, "");
  remove_temporaries(folder.path());
  remove_temporaries(folder / "not there");
  EXPECT_FALSE(fs::exists(folder / ".step_1.77.tmp"));
  EXPECT_FALSE(fs::exists(folder / ".a.77.tmp"));
  EXPECT_TRUE(fs::exists(folder / "a.tmp"));
  EXPECT_TRUE(fs::exists(folder / ".hidden"));
}

TEST(RemoveFolder, RemovesItWhole) {
  const TemporaryFolder folder;
  fs::create_directories(folder / "a/b");
  remove_folder(folder / "a");
  EXPECT_TRUE(fs::is_empty(folder.path()));
  remove_folder(folder / "a");  // nothing there: nothing to do
}

TEST(FileLock, IsHeldByOneAndNamesIt) {
  const TemporaryFolder folder;
  {
    const FileLock first(folder / "lock");
    ASSERT_TRUE(first.held());
    const FileLock second(folder / "lock");
    EXPECT_FALSE(second.held());
    EXPECT_THAT(second.holder(),
                testing::StartsWith("process " + std::to_string(::getpid()) + " on "));
  }
  EXPECT_TRUE(FileLock(folder / "lock").held());
}

TEST(FileLock, IsFreeAfterItsProcessWasKilled) {
  const TemporaryFolder folder;
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const auto child = ::fork();
  if (child == 0) {
    const FileLock lock(folder / "lock");
    const char held = lock.held() ? 'y' : 'n';
    if (::write(ready[1], &held, 1) != 1) ::_exit(1);
    while (true) ::pause();
  }
  char held = 0;
  ASSERT_EQ(::read(ready[0], &held, 1), 1);
  ASSERT_EQ(held, 'y');
  const FileLock mine(folder / "lock");
  EXPECT_FALSE(mine.held());
  EXPECT_THAT(mine.holder(), HasSubstr("process " + std::to_string(child) + " on "));
  ::kill(child, SIGKILL);
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
  EXPECT_TRUE(FileLock(folder / "lock").held());
  ::close(ready[0]);
  ::close(ready[1]);
}

}  // namespace
}  // namespace dnc
