import de.bwaldvogel.mongo.MongoServer;
import de.bwaldvogel.mongo.MongoVersion;
import de.bwaldvogel.mongo.backend.memory.MemoryBackend;
import java.util.List;

/** A server of the MongoDB protocol in memory, on the port of loopback that its argument names. */
public class MongoRun {
  public static void main(String[] arguments) throws Exception {
    int port = Integer.parseInt(arguments[0]);
    var backend = new MemoryBackend();
    // drivers refuse wire versions below 9 (MongoDB 4.4), and this library's own newest says 8
    backend.version(new MongoVersion() {
      public List<Integer> getVersionArray() { return List.of(5, 0, 0); }
      public String toVersionString() { return "5.0.0"; }
      public int getWireVersion() { return 13; }
    });
    var server = new MongoServer(backend);
    server.bind("127.0.0.1", port);
    Runtime.getRuntime().addShutdownHook(new Thread(server::shutdown));
    System.out.println("MongoDB stand-in serves");
    Thread.currentThread().join();
  }
}
