# The Homebrew formula. `scripts/manifests` fills in the version, the address and the sum.
class Longwire < Formula
  desc "WebSockets that outlive a browser extension's service worker"
  homepage "@HOMEPAGE@"
  url "@URL@/@FILE@"
  sha256 "@SHA256@"
  license any_of: ["MIT", "Apache-2.0"]

  depends_on "rust" => :build

  def install
    system "cargo", "install", *std_cargo_args
    generate_completions_from_executable(bin/"longwire", "completions")
    system bin/"longwire", "man", "--folder", man1
  end

  # A formula must not write into the user's Library: the user does.
  def caveats
    <<~EOS
      Nothing is registered with any browser yet. To let an extension use it:
        longwire install --extension ID
      Before you remove this formula:
        longwire uninstall --all
    EOS
  end

  test do
    ENV["LONGWIRE_HOME"] = testpath/"longwire"
    assert_match version.to_s, shell_output("#{bin}/longwire --version")
    # Nothing is registered, which is a fault only where there is a browser.
    assert_match "\"verdict\"", shell_output("#{bin}/longwire doctor --json || true")
  end
end
